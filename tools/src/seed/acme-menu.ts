/** The catalogue of the sample tenant acme, a burger shop. */
import { productsFrom, type SamplePromotion } from './catalogue.ts';

export const acmeProducts = productsFrom('acme', {
  burgers: `
Classic Burger|Beef, lettuce, tomato, pickles, house sauce|950|classic|kcal=720 grams=280 allergens=gluten,egg,milk
Cheeseburger|Beef, double cheddar, onions, mustard|1050|classic|kcal=830 grams=290 allergens=gluten,milk,mustard
Double Cheeseburger|Two patties, four slices of cheddar|1390|big|kcal=1180 grams=410 allergens=gluten,milk,mustard
Bacon Burger|Beef, crisp bacon, cheddar, barbecue sauce|1190||kcal=910 grams=310 allergens=gluten,milk
Blue Cheese Burger|Beef, blue cheese, caramelised onions|1250||kcal=890 grams=310 allergens=gluten,milk
Mushroom Swiss|Beef, mushrooms, Swiss cheese, thyme mayonnaise|1190||kcal=860 grams=320 allergens=gluten,milk,egg
Jalapeño Burger|Beef, pickled jalapeños, pepper jack|1150|spicy|kcal=840 grams=300 allergens=gluten,milk
Smokehouse Burger|Smoked brisket on beef, coleslaw|1450|big|kcal=1090 grams=390 allergens=gluten,egg,mustard
Smash Burger|Two thin patties with crisp edges|1090|classic|kcal=790 grams=270 allergens=gluten,milk
Breakfast Burger|Beef, fried egg, hash brown|1250|breakfast|kcal=980 grams=350 allergens=gluten,egg,milk
Truffle Burger|Beef, truffle mayonnaise, rocket, parmesan|1590|seasonal off|kcal=920 grams=310 allergens=gluten,egg,milk
Junior Burger|Small beef burger for children|690|children|kcal=450 grams=160 allergens=gluten,milk
Surf and Turf Burger|Beef and grilled prawns, lemon mayonnaise|1690|big|kcal=940 grams=360 allergens=gluten,egg,crustaceans
Lamb Burger|Minted lamb, yoghurt, pickled cucumber|1350||kcal=790 grams=300 allergens=gluten,milk
Fish Burger|Crisp cod, tartare sauce, gherkins|1150||kcal=710 grams=290 allergens=gluten,fish,egg
Salmon Burger|Salmon patty, dill cream, cucumber|1290|light|kcal=650 grams=280 allergens=gluten,fish,milk
Turkey Burger|Lean turkey, cranberry, rocket|1090|light|kcal=560 grams=270 allergens=gluten
Pulled Pork Burger|Pork from the smoker, apple slaw|1250||kcal=880 grams=330 allergens=gluten,egg,mustard
Chorizo Burger|Beef, chorizo, manchego, aioli|1290|spicy|kcal=960 grams=320 allergens=gluten,milk,egg
Teriyaki Burger|Beef, teriyaki glaze, pineapple|1150||kcal=770 grams=300 allergens=gluten,soy,sesame
Raclette Burger|Beef under melted raclette, pickled onions|1390|seasonal|kcal=1010 grams=340 allergens=gluten,milk
Peanut Burger|Beef, peanut butter, bacon, chilli jam|1290|spicy|kcal=990 grams=310 allergens=gluten,peanuts
Naked Burger|Beef without the bun, in lettuce|1090|light glutenfree|kcal=480 grams=260 allergens=egg
Gluten Free Classic|Our classic in a bun of rice flour|1090|glutenfree|kcal=690 grams=280 allergens=egg,milk`,
  chicken: `
Crispy Chicken Burger|Buttermilk chicken, slaw, pickles|1090||kcal=810 grams=300 allergens=gluten,egg,milk
Hot Chicken Burger|Nashville style, very hot|1150|spicy|kcal=840 grams=300 allergens=gluten,egg,milk
Grilled Chicken Burger|Chicken breast, avocado, lime|1150|light|kcal=590 grams=290 allergens=gluten,egg
Chicken Tenders|Five pieces with a dip of your choice|890|sharing|kcal=640 pieces=5 allergens=gluten,milk
Buffalo Wings|Eight wings, hot sauce, blue cheese dip|990|spicy sharing|kcal=780 pieces=8 allergens=milk,celery
Barbecue Wings|Eight wings, smoky sauce|990|sharing|kcal=760 pieces=8 allergens=celery
Chicken Caesar Wrap|Chicken, romaine, parmesan, Caesar dressing|950||kcal=620 allergens=gluten,milk,fish,egg
Chicken Nuggets|Nine pieces|690|children|kcal=430 pieces=9 allergens=gluten
Korean Chicken|Twice fried, sweet chilli glaze, sesame|1090|spicy|kcal=760 pieces=6 allergens=gluten,soy,sesame
Chicken Katsu Burger|Panko chicken, curry mayonnaise, slaw|1190||kcal=830 grams=310 allergens=gluten,egg
Lemon Pepper Wings|Eight wings, butter, lemon and pepper|990|sharing|kcal=790 pieces=8 allergens=milk
Honey Mustard Tenders|Five tenders in honey and mustard|950|sharing|kcal=690 pieces=5 allergens=gluten,mustard
Half Roast Chicken|With herbs, and its own gravy|1390|glutenfree|kcal=860 grams=500 allergens=celery
Chicken Skewers|Three skewers with lime and coriander|1090|light glutenfree|kcal=420 pieces=3
Popcorn Chicken|Small bites with a big crunch|750|sharing|kcal=540 grams=180 allergens=gluten,egg
Chicken Quesadilla|Chicken, cheddar, peppers, salsa|950||kcal=670 allergens=gluten,milk`,
  plants: `
Garden Burger|Chickpea patty, tahini, tomato|950|vegan|kcal=610 grams=280 allergens=gluten,sesame
Beyond Classic|Pea protein patty, vegan cheese, pickles|1190|vegan|kcal=680 grams=280 allergens=gluten
Halloumi Burger|Grilled halloumi, roasted peppers, pesto|1090|vegetarian|kcal=740 grams=290 allergens=gluten,milk,nuts
Portobello Burger|Stuffed mushroom, spinach, feta|1050|vegetarian|kcal=560 grams=270 allergens=gluten,milk
Black Bean Burger|Black beans, corn, chipotle mayonnaise|990|vegan spicy|kcal=620 grams=290 allergens=gluten
Falafel Wrap|Falafel, hummus, pickled turnip|890|vegan|kcal=590 allergens=gluten,sesame
Veggie Nuggets|Nine pieces with sweet chilli|690|vegan children|kcal=390 pieces=9 allergens=gluten
Smoky Tofu Burger|Smoked tofu, avocado, tomato relish|1090|vegan|kcal=570 grams=270 allergens=gluten,soy
Mushroom Walnut Burger|Mushroom and walnut patty, thyme|1090|vegan|kcal=640 grams=280 allergens=gluten,nuts
Beetroot Burger|Beetroot and quinoa patty, horseradish|1050|vegan|kcal=520 grams=270 allergens=gluten
Cauliflower Wings|Eight florets in buffalo sauce|850|vegan spicy sharing|kcal=360 pieces=8 allergens=gluten,celery
Vegan Chili Bowl|Three beans, corn, coriander|890|vegan glutenfree spicy|kcal=480
Grilled Vegetable Wrap|Courgette, peppers, hummus|850|vegan|kcal=510 allergens=gluten,sesame
Paneer Burger|Spiced paneer, mango chutney|1090|vegetarian spicy|kcal=720 grams=290 allergens=gluten,milk
Goat Cheese Burger|Goat cheese, honey, walnuts, pear|1150|vegetarian|kcal=760 grams=290 allergens=gluten,milk,nuts
Tempeh Bowl|Tempeh, brown rice, pickled carrots|1090|vegan|kcal=560 allergens=soy,sesame
Jackfruit Sandwich|Pulled jackfruit, barbecue sauce, slaw|990|vegan|kcal=590 allergens=gluten,mustard`,
  sides: `
French Fries|Twice fried, sea salt|390|vegan classic|kcal=380 grams=150
Large Fries|For two|550|vegan sharing|kcal=640 grams=260
Sweet Potato Fries|With a pinch of paprika|490|vegan|kcal=410 grams=150
Truffle Fries|Truffle oil, parmesan, chives|690|vegetarian|kcal=520 grams=170 allergens=milk
Cheese Fries|Under melted cheddar|590|vegetarian|kcal=610 grams=200 allergens=milk
Chili Cheese Fries|Beef chilli, cheddar, jalapeños|790|spicy|kcal=790 grams=280 allergens=milk
Onion Rings|Eight rings in beer batter|490|vegetarian|kcal=460 pieces=8 allergens=gluten
Coleslaw|Cabbage, carrots, light mayonnaise|350|vegetarian|kcal=190 grams=120 allergens=egg,mustard
Mac and Cheese|Three cheeses, crisp top|690|vegetarian|kcal=720 grams=250 allergens=gluten,milk
Corn on the Cob|Chipotle butter|450|vegetarian|kcal=240 allergens=milk
Mozzarella Sticks|Six pieces, marinara dip|650|vegetarian sharing|kcal=520 pieces=6 allergens=gluten,milk
Side Salad|Leaves, cucumber, radish|390|vegan light|kcal=90
Curly Fries|Seasoned and curly|450|vegan|kcal=410 grams=150 allergens=gluten
Loaded Potato Skins|Bacon, cheddar, sour cream|690||kcal=520 pieces=4 allergens=milk
Baked Potato|With sour cream and chives|490|vegetarian glutenfree|kcal=310 allergens=milk
Mashed Potatoes|With butter and nutmeg|450|vegetarian glutenfree|kcal=290 allergens=milk
Corn Bread|Warm, with honey butter|390|vegetarian|kcal=340 allergens=gluten,egg,milk
Garlic Bread|With parsley butter|390|vegetarian|kcal=360 allergens=gluten,milk
Baked Beans|With molasses and smoke|350|vegan glutenfree|kcal=220
Creamed Spinach|With nutmeg and parmesan|490|vegetarian|kcal=240 allergens=milk
Green Beans|With garlic and almonds|450|vegan glutenfree|kcal=160 allergens=nuts
Fried Pickles|In a crisp batter, with ranch dip|550|vegetarian|kcal=330 allergens=gluten,egg,milk
Potato Salad|With mustard and gherkins|390|vegetarian|kcal=260 allergens=egg,mustard
Steamed Rice|Jasmine rice|290|vegan glutenfree|kcal=210`,
  salads: `
Caesar Salad|Romaine, croutons, parmesan|890||kcal=480 allergens=gluten,milk,fish,egg
Cobb Salad|Chicken, egg, bacon, avocado, blue cheese|1190|light|kcal=620 allergens=milk,egg
Quinoa Bowl|Quinoa, edamame, beetroot, lime|1050|vegan light|kcal=510 allergens=soy
Greek Salad|Feta, olives, tomatoes, cucumber|950|vegetarian glutenfree light|kcal=390 allergens=milk
Waldorf Salad|Apple, celery, grapes, walnuts|950|vegetarian glutenfree|kcal=430 allergens=celery,nuts,egg
Steak Salad|Sliced sirloin, rocket, parmesan|1490|glutenfree|kcal=560 allergens=milk
Prawn Avocado Salad|Prawns, avocado, grapefruit|1390|glutenfree light|kcal=410 allergens=crustaceans
Lentil Salad|Lentils, beetroot, orange|890|vegan glutenfree light|kcal=370
Tuna Nicoise|Tuna, egg, beans, olives|1290|glutenfree|kcal=490 allergens=fish,egg
Falafel Salad|Falafel, hummus, leaves, tahini|990|vegan|kcal=520 allergens=sesame
Kale Salad|Kale, cranberries, sunflower seeds|890|vegan glutenfree light|kcal=320`,
  sauces: `
Ketchup|Made here|50|vegan|grams=30
House Sauce|What everybody asks about|90|vegetarian|grams=30 allergens=egg,mustard
Garlic Mayonnaise|Plenty of garlic|90|vegetarian|grams=30 allergens=egg
Barbecue Sauce|Smoky and sweet|90|vegan|grams=30 allergens=celery
Hot Sauce|Fermented chillies|90|vegan spicy|grams=30
Vegan Mayonnaise|From chickpea water|90|vegan|grams=30 allergens=mustard
Ranch Dip|Buttermilk, chives, dill|90|vegetarian|grams=30 allergens=milk,egg
Blue Cheese Dip|Strong and creamy|120|vegetarian|grams=30 allergens=milk,egg
Honey Mustard|Sweet and sharp|90|vegetarian|grams=30 allergens=mustard
Sweet Chilli Sauce|Sticky and mild|90|vegan|grams=30
Guacamole|Avocado, lime, coriander|190|vegan|grams=50
Salsa Verde|Tomatillos and coriander|120|vegan spicy|grams=50
Peanut Satay Sauce|Peanuts and coconut|120|vegan|grams=50 allergens=peanuts,soy
Truffle Mayonnaise|With black truffle|150|vegetarian|grams=30 allergens=egg`,
  desserts: `
Chocolate Brownie|Warm, with walnuts|490|vegetarian|kcal=430 allergens=gluten,egg,milk,nuts
New York Cheesecake|Baked, with berries|590|vegetarian|kcal=480 allergens=gluten,egg,milk
Apple Pie|With cinnamon|490|vegetarian|kcal=410 allergens=gluten,milk
Vanilla Milkshake|Real vanilla|550|vegetarian cold|kcal=560 ml=400 allergens=milk
Chocolate Milkshake|Dark chocolate|550|vegetarian cold|kcal=610 ml=400 allergens=milk
Strawberry Milkshake|When strawberries are in season|590|vegetarian cold seasonal off|kcal=540 ml=400 allergens=milk
Carrot Cake|With cream cheese frosting and pecans|550|vegetarian|kcal=450 allergens=gluten,egg,milk,nuts
Key Lime Pie|Sharp, with cream|550|vegetarian|kcal=420 allergens=gluten,egg,milk
Banana Split|Three scoops, banana, chocolate|690|vegetarian glutenfree|kcal=580 allergens=milk
Lemon Tart|With burnt sugar|550|vegetarian|kcal=390 allergens=gluten,egg,milk
Chocolate Chip Cookie|Warm from the oven|290|vegetarian|kcal=310 allergens=gluten,egg,milk
Vegan Brownie|With raspberries, without nuts|490|vegan|kcal=360 allergens=gluten,soy
Fruit Salad|What is ripe today|450|vegan glutenfree light|kcal=140
Mango Sorbet|Two scoops|390|vegan glutenfree|kcal=160
Peanut Butter Sundae|Vanilla ice cream, peanuts, caramel|650|vegetarian|kcal=620 allergens=milk,peanuts
Doughnut|With sugar and cinnamon|250|vegetarian|kcal=280 allergens=gluten,egg,milk`,
  drinks: `
Cola|0.4 l|350|vegan|ml=400
Cola Zero|0.4 l|350|vegan|ml=400
Lemonade|Squeezed today|390|vegan|ml=400
Iced Tea|Black tea and peach|390|vegan|ml=400
Root Beer|From the barrel|390|vegan|ml=400
Craft Lager|0.33 l|450|vegan alcohol|ml=330 allergens=gluten
Still Water|0.5 l|290|vegan|ml=500
Sparkling Water|0.5 l|290|vegan|ml=500
Orange Juice|Squeezed when you order it|450|vegan|ml=300
Apple Juice|Cloudy, from the region|350|vegan|ml=300
Ginger Ale|With real ginger|390|vegan|ml=330
Espresso|Single|250|vegan hot|ml=30
Cappuccino|With foamed milk|350|vegetarian hot|ml=180 allergens=milk
Oat Latte|With oat milk|420|vegan hot|ml=250 allergens=gluten
Hot Chocolate|With whipped cream|420|vegetarian hot|ml=250 allergens=milk
Green Tea|A pot|350|vegan hot|ml=400
Cold Brew|Steeped for eighteen hours|420|vegan cold|ml=300
Oreo Milkshake|With cookies|590|vegetarian cold|kcal=650 ml=400 allergens=milk,gluten,soy
Mango Lassi|Yoghurt, mango, cardamom|450|vegetarian cold|ml=300 allergens=milk
Pale Ale|0.33 l|490|vegan alcohol|ml=330 allergens=gluten
Wheat Beer|0.5 l|520|vegan alcohol|ml=500 allergens=gluten
Alcohol Free Lager|0.33 l|420|vegan|ml=330 allergens=gluten
Dry Cider|0.33 l|490|vegan alcohol|ml=330 allergens=sulphites
Red Wine|Merlot, glass|590|vegan alcohol|ml=200 allergens=sulphites`,
  hotdogs: `
Classic Hot Dog|Beef frankfurter, mustard, ketchup|590|classic|kcal=430 allergens=gluten,mustard
New York Dog|Sauerkraut and mustard|650||kcal=450 allergens=gluten,mustard
Chili Dog|Beef chilli, cheddar, onions|750|spicy|kcal=590 allergens=gluten,milk
Chicago Dog|Tomato, pickle, sport peppers, celery salt|720||kcal=470 allergens=gluten,mustard,celery
Danish Dog|Crisp onions, remoulade, pickles|690||kcal=520 allergens=gluten,egg,mustard
Vegan Dog|Carrot and smoke, mustard, crisp onions|650|vegan|kcal=380 allergens=gluten,mustard
Cheese Dog|Filled with cheese, in a pretzel bun|750||kcal=610 allergens=gluten,milk
Corn Dog|On a stick, in corn batter|490|children|kcal=390 allergens=gluten,egg,milk`,
  sandwiches: `
Reuben|Pastrami, Swiss cheese, sauerkraut on rye|1190|classic|kcal=780 allergens=gluten,milk,mustard
Club Sandwich|Three layers with chicken, bacon and egg|1150|classic|kcal=820 allergens=gluten,egg
BLT|Bacon, lettuce, tomato, mayonnaise|890|classic|kcal=590 allergens=gluten,egg
Philly Cheesesteak|Sliced beef, onions, provolone|1290|big|kcal=940 allergens=gluten,milk
Tuna Melt|Tuna, cheddar, spring onions|950||kcal=680 allergens=gluten,fish,milk,egg
Grilled Cheese|Three cheeses on sourdough|790|vegetarian|kcal=640 allergens=gluten,milk
Meatball Sub|Meatballs, marinara, mozzarella|1090||kcal=870 allergens=gluten,milk,egg
Caprese Sandwich|Tomato, mozzarella, basil pesto|890|vegetarian|kcal=560 allergens=gluten,milk,nuts
Smoked Salmon Bagel|Cream cheese, capers, dill|1090||kcal=520 allergens=gluten,fish,milk
Cubano|Roast pork, ham, cheese, pickles, pressed|1150||kcal=790 allergens=gluten,milk,mustard
Egg Salad Sandwich|Soft egg, cress, mustard|690|vegetarian|kcal=480 allergens=gluten,egg,mustard
Hummus Bagel|Hummus, cucumber, sprouts|750|vegan|kcal=430 allergens=gluten,sesame`,
  tacos: `
Beef Tacos|Three tacos with spiced beef and salsa|990|spicy|kcal=610 pieces=3
Fish Tacos|Crisp cod, cabbage, lime cream|1090||kcal=580 pieces=3 allergens=fish,milk,gluten
Pork Carnitas Tacos|Slow pork, onions, coriander|990||kcal=630 pieces=3
Prawn Tacos|Grilled prawns, mango salsa|1190||kcal=520 pieces=3 allergens=crustaceans
Black Bean Tacos|Beans, avocado, pickled onions|890|vegan glutenfree|kcal=490 pieces=3
Beef Burrito|Beef, rice, beans, cheese|1090|big|kcal=890 allergens=gluten,milk
Veggie Burrito|Rice, beans, corn, guacamole|950|vegan|kcal=720 allergens=gluten
Nachos Grande|Cheese, beans, salsa, sour cream|1090|vegetarian sharing|kcal=980 allergens=milk
Guacamole and Chips|Mashed to order|690|vegan glutenfree sharing|kcal=450
Churros|Six, with chocolate sauce|590|vegetarian|kcal=460 pieces=6 allergens=gluten,milk`,
  breakfast: `
Pancake Stack|Five pancakes, maple syrup, butter|890|vegetarian breakfast|kcal=720 pieces=5 allergens=gluten,egg,milk
Blueberry Pancakes|With berries and lemon curd|990|vegetarian breakfast|kcal=760 allergens=gluten,egg,milk
French Toast|Brioche, cinnamon, berries|890|vegetarian breakfast|kcal=680 allergens=gluten,egg,milk
Eggs Benedict|Poached eggs, ham, hollandaise|1090|breakfast|kcal=640 allergens=gluten,egg,milk
Eggs Florentine|Poached eggs, spinach, hollandaise|1050|vegetarian breakfast|kcal=590 allergens=gluten,egg,milk
Avocado Toast|Sourdough, avocado, chilli, lime|850|vegan breakfast|kcal=420 allergens=gluten
Breakfast Burrito|Scrambled eggs, beans, salsa|990|vegetarian breakfast|kcal=710 allergens=gluten,egg,milk
Full Breakfast|Eggs, bacon, sausage, beans, toast|1290|breakfast big|kcal=1050 allergens=gluten,egg
Vegan Breakfast|Tofu scramble, mushrooms, beans, toast|1190|vegan breakfast|kcal=690 allergens=gluten,soy
Porridge|Oats, banana, honey|590|vegetarian breakfast|kcal=380 allergens=gluten,milk
Granola Bowl|Yoghurt, granola with almonds, fruit|690|vegetarian breakfast|kcal=450 allergens=gluten,milk,nuts
Waffles|Two waffles, ice cream, chocolate sauce|850|vegetarian breakfast|kcal=740 allergens=gluten,egg,milk`,
  grill: `
Sirloin Steak|250 grams with herb butter|2390|glutenfree|kcal=690 grams=250 allergens=milk
Ribeye Steak|300 grams from the charcoal grill|2890|glutenfree big|kcal=920 grams=300
Baby Back Ribs|A full rack in smoky sauce|2190|big|kcal=1240 allergens=celery,mustard
Half Rack of Ribs|For the smaller hunger|1490||kcal=640 allergens=celery,mustard
Brisket Plate|Twelve hours in the smoker, pickles|1990|big|kcal=980 allergens=mustard
Pulled Pork Plate|With slaw and corn bread|1690|big|kcal=960 allergens=gluten,egg,milk,mustard
Grilled Salmon|With lemon and green beans|1990|light glutenfree|kcal=540 allergens=fish
Prawn Skewers|Garlic, chilli, lemon|1790|light glutenfree spicy|kcal=380 allergens=crustaceans
Lamb Chops|Three chops with mint sauce|2290|glutenfree|kcal=720 pieces=3
Grilled Halloumi Plate|With vegetables and olives|1490|vegetarian glutenfree|kcal=610 allergens=milk
Vegetable Skewers|Peppers, mushrooms, courgette, chimichurri|1190|vegan glutenfree|kcal=310
Mixed Grill|Sausage, ribs, chicken and brisket for two|3490|sharing big|kcal=2100 allergens=celery,mustard`,
  soups: `
Tomato Soup|With basil oil|550|vegan glutenfree|kcal=190 ml=300
Clam Chowder|Creamy, with clams and potatoes|790||kcal=420 ml=300 allergens=molluscs,milk,gluten,celery
Chicken Noodle Soup|The way it helps|690||kcal=310 ml=300 allergens=gluten,egg,celery
French Onion Soup|Under a crust of cheese|690||kcal=380 ml=300 allergens=gluten,milk,celery
Pumpkin Soup|With coconut milk and ginger|590|vegan glutenfree seasonal|kcal=230 ml=300
Beef Chili|Beef, beans, a little chocolate|790|spicy glutenfree|kcal=450 ml=350`,
});

export const acmePromotions: SamplePromotion[] = [
  { code: 'BURGER15', kind: 'percent', value: 15, minimum: 0, active: true },
  { code: 'TAKE3', kind: 'amount', value: 300, minimum: 1_500, active: true },
];
